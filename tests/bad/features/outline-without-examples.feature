# expects: 7: "It works" is an outline without Examples
# expects: 7: "It works" speaks of <figure>, which no column of its Examples is called
@shop @daily
Feature: outline without examples

  @BAD-D-2 @P2
  Scenario Outline: It works
    Given the shop
    Then its <figure> is calm
