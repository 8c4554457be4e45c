# expects: 8: "Then everything should work properly": no sentence of the vocabulary is like this; the nearest is "its LIST include in this order:"
@shop @daily
Feature: no such sentence

  @BAD-X-1 @P2
  Scenario: It works
    Given the shop
    Then everything should work properly
