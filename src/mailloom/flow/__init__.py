"""What happens to a batch of messages, in order: transform, commit; and what a failure means."""
