# expects: ?
@shop @daily
Feature: two given systems

  @BAD-U-3 @P2
  Scenario: It works
    Given the shop
    And the yard
    Then its mood is calm
