# expects: ?
@shop @daily
Feature: meanwhile

  @BAD-Y-1 @P2
  Scenario: It works
    Given the shop
    Then meanwhile its mood is calm
