"""How is a system changed, by whom is it allowed, and what is left behind as proof?"""
