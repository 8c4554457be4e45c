# expects: 13: the row mood is there twice
@shop @daily
Feature: row twice

  @BAD-N-2 @P2
  Scenario Outline: It works
    Given the shop
    Then its <figure> is calm

    Examples:
      | figure |
      | mood   |
      | mood   |
