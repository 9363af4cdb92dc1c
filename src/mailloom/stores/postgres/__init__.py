"""PostgreSQL: messages, copies, evidence, marks, and the conversations that readers see, for the server profile."""
