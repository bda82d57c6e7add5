"""Writes a film of a square that moves, two seconds of 320 x 240: `film.py FILE`."""

import sys

import cv2
import numpy as np

film = cv2.VideoWriter(sys.argv[1], cv2.VideoWriter_fourcc(*"MJPG"), 25, (320, 240))
for index in range(50):
    picture = np.zeros((240, 320, 3), dtype=np.uint8)
    cv2.rectangle(picture, (index * 4, 80), (index * 4 + 60, 140), (40, 200, 80), -1)
    film.write(picture)
film.release()
