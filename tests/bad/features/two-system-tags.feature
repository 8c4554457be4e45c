# expects: 3: "two system tags" is tagged with several systems, shop and yard; give each its own file
@shop @yard @daily
Feature: two system tags

  @BAD-U-1 @P2
  Scenario: It works
    Given the shop
    Then its mood is calm
