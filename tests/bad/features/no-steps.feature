# expects: 7: "It works" has no steps, so it would pass whatever happens
# expects: 7: "It works" has no steps, so it would pass whatever 
@shop @daily
Feature: no steps

  @BAD-C-1 @P2
  Scenario: It works
