"""Wiring and nothing else: which words there are, and what they are carried out with."""

pytest_plugins = ["steps.given", "steps.when", "steps.then", "fixtures.scenario"]
