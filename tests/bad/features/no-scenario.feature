# expects: 3: "no scenario" has no scenario
@shop @daily
Feature: no scenario

