# expects: ?
@shop @daily
Feature: outline without examples

  @BAD-D-2 @P2
  Scenario Outline: It works
    Given the shop
    Then its <figure> is calm
