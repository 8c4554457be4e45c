# expects: ?
@shop @yard @daily
Feature: two system tags

  @BAD-U-1 @P2
  Scenario: It works
    Given the shop
    Then its mood is calm
