"""The outside worlds that captures come from."""
