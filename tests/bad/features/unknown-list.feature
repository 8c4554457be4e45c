# expects: 8: "Then it has no odrers": no figure is called "odrers"; did you mean "orders"?
@shop @daily
Feature: unknown list

  @BAD-I-2 @P2
  Scenario: It works
    Given the shop
    Then it has no odrers
