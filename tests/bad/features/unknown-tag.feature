# expects: ?
@shop @daily
Feature: unknown tag

  @BAD-H-1 @P2 @wekly
  Scenario: It works
    Given the shop
    Then its mood is calm
