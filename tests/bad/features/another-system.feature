# expects: 7: "It works" is about the yard, and its tag is @shop
@shop @daily
Feature: another system

  @BAD-U-4 @P2
  Scenario: It works
    Given the yard
    Then its mood is calm
