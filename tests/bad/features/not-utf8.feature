# expects: 3: is not UTF-8
# expects: 3: is not UTF-8
Feature: ÿ
