"""Says what the verdicts of a run come to: go or no-go, what is missing, what is waived."""
