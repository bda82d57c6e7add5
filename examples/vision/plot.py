"""Draws what was found onto the pictures; writes a sheet of all photographs, and an animation."""

import os
from pathlib import Path

import numpy as np
from dora import Node
from PIL import Image, ImageChops, ImageDraw, ImageFont

EDGE, CORNER, BOX, PAPER = (255, 176, 0), (0, 230, 118), (255, 64, 129), (18, 18, 18)
COLUMNS, MARGIN = 3, 8
WAITING = 30
"""Pictures that wait for what others find in them. They stay in shared memory."""


def draw(parts, metadata):
    """One picture with its edges, corners and boxes."""
    size = metadata["width"], metadata["height"]
    picture = Image.fromarray(parts["image"].to_numpy().reshape(size[1], size[0], 3))
    edges = Image.fromarray(parts["edges"].to_numpy().reshape(size[1], size[0]))
    picture.paste(Image.new("RGB", size, EDGE), mask=ImageChops.multiply(edges, Image.new("L", size, 110)))
    canvas = ImageDraw.Draw(picture)
    for x, y in parts["corners"].to_numpy().reshape(-1, 2):
        canvas.ellipse((x - 2, y - 2, x + 2, y + 2), outline=CORNER)
    found = parts["bbox"][0].as_py()
    for box, label in zip(np.reshape(found["bbox"], (-1, 4)), found["labels"], strict=True):
        canvas.rectangle(tuple(box), outline=BOX, width=4)
        text = (box[0], box[1] - 24)
        canvas.rectangle(canvas.textbbox(text, f" {label} ", font=FONT), fill=BOX)
        canvas.text(text, f" {label} ", fill="white", font=FONT)
    caption = f"{Path(metadata['name']).stem.replace('_', ' ')}   frame {metadata['frame']}"
    canvas.rectangle((0, size[1] - 26, *size), fill=PAPER)
    canvas.text((8, size[1] - 24), caption, fill="white", font=FONT)
    return picture, len(found["labels"])


def sheet(pictures):
    """All pictures side by side."""
    width, height = pictures[0].size
    rows = -(-len(pictures) // COLUMNS)
    whole = Image.new("RGB", (COLUMNS * (width + MARGIN) + MARGIN, rows * (height + MARGIN) + MARGIN), PAPER)
    for index, picture in enumerate(pictures):
        row, column = divmod(index, COLUMNS)
        whole.paste(picture, (MARGIN + column * (width + MARGIN), MARGIN + row * (height + MARGIN)))
    return whole


FONT = ImageFont.load_default(18)
waiting, best, frames, counts = {}, {}, [], {}
node = Node()
for event in node:
    if event["type"] != "INPUT":
        continue
    metadata = event["metadata"]
    parts = waiting.setdefault(metadata["frame"], {})
    parts[event["id"]] = event["value"]
    if len(parts) == 4:
        picture, found = draw(parts, metadata)
        name = metadata["name"]
        counts[name] = counts.get(name, 0) + found
        # Of each photograph the first picture with the most in it is kept for the sheet.
        if name not in best or found > best[name][1]:
            best[name] = picture, found
        frames.append(picture.reduce(2).quantize(128, Image.Quantize.FASTOCTREE))
        del waiting[metadata["frame"]]
    while len(waiting) > WAITING:
        del waiting[min(waiting)]

results = Path(os.environ["RESULTS"])
results.mkdir(parents=True, exist_ok=True)
sheet([best[name][0] for name in sorted(best)]).save(results / "faces.png")
frames[0].save(results / "faces.gif", save_all=True, append_images=frames[1:], duration=100, loop=0)
found = {name: count for name, count in counts.items() if count}
print(f"{len(frames)} pictures drawn, faces in: {', '.join(found) or 'none'}")
assert "astronaut.png" in found, counts
