"""A BART that also chooses sentences: a head on its encoder says which words of an article its summary has.

Beside the decoder, which stays as it is, a checkpoint then has a few more layers and two small heads on the encoder's
output. For each token with which a word begins they give the probability that the word is in the summary, and that it
and the word before it stand so side by side there; and for the article, how many words its summary has. A chooser
(`reading.choice`) takes the sentences with the highest expected ROUGE. That a word's weight is learned, and sentences
are chosen by the words of theirs that count, is the way of Hong and Nenkova (2014, "Improving the Estimation of Word
Importance for News Multi-Document Summarization"); the probabilities here are those of a transformer.

The configuration has the field `LAYERS`; the tensors are ``choice.layers.N.*``, named and shaped as those of
``model.encoder.layers.N.*``, ``choice.words.*`` and ``choice.length.*``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import nn
from transformers import BartConfig, BartForConditionalGeneration
from transformers.masking_utils import create_bidirectional_mask
from transformers.models.bart.modeling_bart import BartEncoderLayer
from transformers.utils import ModelOutput

LAYERS: Final = "choice_layers"
"""In ``config.json``: how many layers the head has of its own, 0 or more; not there in a BART without a head."""
HEADS: Final = ("choice.words.", "choice.length.")
"""How the names of the parameters begin that are neither a layer's nor the base's."""
_USUAL_LENGTH: Final = 3.6
"""The logarithm of the words of a summary that an untrained head expects, about 37; and of the words and pairs of an
article..."""
_USUAL_SHARES: Final = (0.25, 0.03)
"""...the shares that are in it."""


def has_choice(config: Any) -> bool:
    """Whether a configuration is of a BART with a head that chooses."""
    return getattr(config, LAYERS, None) is not None


@dataclass
class ChoiceOutput(ModelOutput):
    """What the head says of a batch of articles."""

    logits: torch.Tensor | None = None
    """Float (B, L, 2), for each token: that the word which begins here is in the summary; that it and the word before
    it, of the same sentence, stand there side by side. Of tokens with which no word begins they mean nothing."""
    length: torch.Tensor | None = None
    """Float (B,): the logarithm of how many words the summary has."""


class Choice(nn.Module):
    """The head: layers as the encoder's, and a linear one for each figure."""

    def __init__(self, config: BartConfig) -> None:
        super().__init__()
        self.layers = nn.ModuleList(BartEncoderLayer(config, layer_idx=i) for i in range(config.choice_layers))
        self.words = nn.Linear(config.d_model, 2)
        self.length = nn.Linear(config.d_model, 1)

    def forward(self, hidden: torch.Tensor, mask: torch.Tensor | None) -> ChoiceOutput:
        """Ask the head of an encoder's output, float (B, L, d), with the mask that the encoder's layers have."""
        for layer in self.layers:
            hidden = layer(hidden, mask)
        return ChoiceOutput(logits=self.words(hidden), length=self.length(hidden[:, 0]).squeeze(-1))


class BartForChoice(BartForConditionalGeneration):
    """`BartForConditionalGeneration` with the head `Choice`; whoever does not know of the head can load it without."""

    def __init__(self, config: BartConfig) -> None:
        super().__init__(config)
        self.choice = Choice(self.config)
        self.chooses_alone = False
        self.post_init()

    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        decoder_input_ids: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        *,
        choose: bool = False,
        **more: Any,
    ) -> Any:
        """Write, as BART does; or, where ``choose`` says so, choose: `ChoiceOutput` of ``input_ids``, int64 (B, L)."""
        if choose:
            return self._choose(input_ids, attention_mask)
        return super().forward(
            input_ids=input_ids,
            attention_mask=attention_mask,
            decoder_input_ids=decoder_input_ids,
            labels=labels,
            **more,
        )

    def _choose(self, input_ids: torch.Tensor | None, attention_mask: torch.Tensor | None) -> ChoiceOutput:
        # Nothing is kept of the layers below the lowest one that learns: that is most of a step's time.
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.chooses_alone):
            hidden = self.model.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        mask = create_bidirectional_mask(config=self.config, inputs_embeds=hidden, attention_mask=attention_mask)
        found: ChoiceOutput = self.choice(hidden, mask)
        return found

    def choose_alone(self) -> None:
        """Freeze all but the head, from now on, and leave nothing out at random: what BART writes stays the same."""
        self.chooses_alone = True
        for name, parameter in self.named_parameters():
            parameter.requires_grad_(name.startswith("choice."))
        self.eval()

    def train(self, mode: bool = True) -> BartForChoice:
        """Switch dropout on or off; in a model whose head learns alone it stays off."""
        super().train(mode and not self.chooses_alone)
        return self

    def save_pretrained(self, save_directory: Any, *args: Any, **more: Any) -> None:
        """Save, as `transformers` does; the configuration names the class that everybody has."""
        super().save_pretrained(save_directory, *args, **more)
        if more.get("is_main_process", True):
            self.config.architectures = [BartForConditionalGeneration.__name__]
            self.config.save_pretrained(save_directory)


@torch.no_grad()
def add_choice(base: Any, layers: int, *, seed: int = 0) -> BartForChoice:
    """The same BART with a new head: its layers begin as copies of the encoder's last ones.

    Args:
        base: A ``BartForConditionalGeneration`` in fp32.
        layers: How many layers the head has of its own, 0 or more.
        seed: Of the weights of its figures.
    """
    setattr(base.config, LAYERS, layers)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = BartForChoice(base.config)
    model.load_state_dict(base.state_dict(), strict=False)
    model.tie_weights()
    model.generation_config = base.generation_config
    last = list(base.model.encoder.layers)[-layers:]
    for number, layer in enumerate(model.choice.layers):
        layer.load_state_dict(last[min(number, len(last) - 1)].state_dict())
    model.choice.words.bias.copy_(torch.logit(torch.tensor(_USUAL_SHARES)))
    model.choice.length.bias.fill_(_USUAL_LENGTH)
    return model
