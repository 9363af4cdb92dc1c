"""The stack of what runs: functions and tasks, their roles and settings, and how a new version takes their place."""
