"""The stack of what runs now and then over much mail: state machines, schedules, EMR Serverless."""
