# expects: 4: "no scenario" has no scenario
# expects: 4: "no scenario" has no scenario
@shop @daily
Feature: no scenario

