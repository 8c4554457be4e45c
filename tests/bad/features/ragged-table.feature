# expects: 10: the row has another number of cells than the one above it
@shop @daily
Feature: ragged table

  @BAD-X-8 @P2
  Scenario: It works
    Given the shop
    Then its orders include:
      | state | customer |
      | new |
