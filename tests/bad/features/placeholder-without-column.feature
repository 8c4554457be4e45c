# expects: 7: "It works" speaks of <figre>, which no column of its Examples is called; did you mean "figure"?
# expects: 7: "It works" never uses its column "figure"
@shop @daily
Feature: placeholder without column

  @BAD-M-1 @P2
  Scenario Outline: It works
    Given the shop
    Then its <figre> is calm

    Examples:
      | figure |
      | mood   |
