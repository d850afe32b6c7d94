"""The tensor arena that a model needs: predicted from TFLM's own memory planning."""

from tinymldelta.arena.predict import ArenaNeed, ArenaParts, explain_arena, predict_arena

__all__ = ["ArenaNeed", "ArenaParts", "explain_arena", "predict_arena"]
