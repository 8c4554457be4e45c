# expects: 6: "It works" does not begin with its one system; write "Given the shop" or "Given the yard"
@shop @daily
Feature: two given systems

  @BAD-U-3 @P2
  Scenario: It works
    Given the shop
    And the yard
    Then its mood is calm
