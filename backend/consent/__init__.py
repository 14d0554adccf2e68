"""Purposes, notices, consent events and the states that follow from them."""
