# expects: ?
@shop @daily
Feature: no steps

  @BAD-C-1 @P2
  Scenario: It works
