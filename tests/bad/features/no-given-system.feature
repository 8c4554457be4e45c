# expects: ?
@shop @daily
Feature: no given system

  @BAD-U-2 @P2
  Scenario: It works
    Then its mood is calm
