# expects: 10: the Examples of "It works" have no rows; it would run once with its <placeholders> as they stand
@shop @daily
Feature: outline without rows

  @BAD-D-1 @P2
  Scenario Outline: It works
    Given the shop
    Then its <figure> is calm

    Examples:
      | figure |
