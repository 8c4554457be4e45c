# expects: 6: "It works" has no steps, so it would pass whatever happens
@shop @daily
Feature: no steps

  @BAD-C-1 @P2
  Scenario: It works
