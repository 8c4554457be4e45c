# expects: ?
@shop @daily
Feature: two levels

  @BAD-G-1 @P1 @P2
  Scenario: It works
    Given the shop
    Then its mood is calm
