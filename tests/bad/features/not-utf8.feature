# expects: 2: is not UTF-8
Feature: ÿ
