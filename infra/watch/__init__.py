"""The stack of what tells when something is wrong: alarms, the dashboard, the budget."""
