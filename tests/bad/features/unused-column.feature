# expects: 6: "It works" never uses its column "why"
@shop @daily
Feature: unused column

  @BAD-N-1 @P2
  Scenario Outline: It works
    Given the shop
    Then its <figure> is calm

    Examples:
      | figure | why |
      | mood   | x   |
