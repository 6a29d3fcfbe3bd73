"""When to buy: admission, pace, retry, reservation, and the one decision to stop."""

from pipeline.produce.halt import Cause, Halt
from pipeline.produce.pace import Lesson
from pipeline.produce.partners import Book, Delivery, Desk, Order, Seller, Shop, Terms
from pipeline.produce.planner import CHUNK, Planner
from pipeline.produce.producer import Producer

__all__ = [
    "CHUNK",
    "Book",
    "Cause",
    "Delivery",
    "Desk",
    "Halt",
    "Lesson",
    "Order",
    "Planner",
    "Producer",
    "Seller",
    "Shop",
    "Terms",
]
