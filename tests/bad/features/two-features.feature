# expects: 10: a file has one Feature; give this one its own file
@shop @daily
Feature: two features

  @BAD-Z-1 @P2
  Scenario: It works
    Given the shop
    Then its mood is calm

Feature: another
