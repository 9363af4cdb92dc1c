"""What a stage is: stages.toml -> frozen values that agree with each other. Pure, and without the CDK."""
