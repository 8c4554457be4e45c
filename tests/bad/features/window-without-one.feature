# expects: ?
@shop @daily
Feature: window without one

  @BAD-V-1 @P2
  Scenario: It works
    Given the shop
    Then over the last 24 hours its mood is calm
