"""The GraphQL side of the small GitHub: what tide and other readers of many pull requests at once ask."""
