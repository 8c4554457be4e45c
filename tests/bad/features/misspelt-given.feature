# expects: 8: "Givn the shop" is no step; did you mean "Given"?
# expects: 8: "Givn the shop" is no step; did you mean 
@shop @daily
Feature: misspelt given

  @BAD-W-2 @P2
  Scenario: It works
    Givn the shop
    Then its mood is calm
