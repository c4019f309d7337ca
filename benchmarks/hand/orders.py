"""The orders as the hand-written loops decode them."""

import msgspec


class Order(msgspec.Struct, gc=False):
    id: int
    account: str
    amount: float
    currency: str
    country: str
    product: str
    quantity: int
    express: bool


decode = msgspec.json.Decoder(Order).decode
