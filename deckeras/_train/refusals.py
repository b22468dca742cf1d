"""Arguments of Keras, DEC-keras and scikit-learn that have no meaning here, and what to use instead."""

from __future__ import annotations

from collections.abc import Mapping

_INSTEAD = {
    "maxiter": "It is max_iterations here.",
    "max_iter": "It is max_iterations here.",
    "epochs": "The clustering counts batches: max_iterations, and update_interval for those between two targets.",
    "steps_per_epoch": "The batches between two updates of the target are update_interval.",
    "initial_epoch": "To resume a training, pass checkpoint_dir.",
    "save_dir": "Pass checkpoint_dir to keep the training, and call save on the model afterwards.",
    "save_interval": "Pass checkpoint_dir and checkpoint_every.",
    "ae_weights": "Load them into the encoder first: deckeras.load_dec_keras_weights, or encoder.load_weights.",
    "shuffle": "Rows are always shuffled, by the seed.",
    "validation_split": "Nothing is held out of a clustering. deckeras.selection.evaluate compares with rows held out.",
    "validation_data": "Nothing is held out of a clustering. deckeras.selection.evaluate compares with rows held out.",
    "validation_batch_size": "Nothing is held out of a clustering.",
    "validation_steps": "Nothing is held out of a clustering.",
    "validation_freq": "Nothing is held out of a clustering.",
    "class_weight": "Labels never train. Weights of rows are sample_weight of DEC.fit.",
    "sample_weight": "Pretraining takes all rows alike. Weights of rows are for DEC.fit.",
    "workers": "Give them to the keras.utils.PyDataset that is passed as x.",
    "use_multiprocessing": "Give it to the keras.utils.PyDataset that is passed as x.",
    "max_queue_size": "Give it to the keras.utils.PyDataset that is passed as x.",
    "optimizer": "Call compile(optimizer) on the model first.",
    "loss": "Call compile(optimizer, loss) on the model first.",
    "metrics": "Call compile(optimizer, loss, metrics=...) on the model first.",
    "n_clusters": "The number of clusters is that of the model.",
    "alpha": "alpha is that of the model.",
    "gamma": "gamma is that of the model: deckeras.IDEC(encoder, decoder, n_clusters, gamma=0.1).",
}
_PRETRAINING = {
    "epochs": "Set it in the recipe: deckeras.recipes.get(recipe, epochs=20, min_pretraining_iterations=0).",
    "batch_size": "Set it in the recipe: deckeras.recipes.get(recipe, pretraining_batch_size=256).",
    "optimizer": "Set it in the recipe: deckeras.recipes.get(recipe, pretraining_optimizer=function_of_iterations).",
    "loss": 'Set it in the recipe: deckeras.recipes.get(recipe, pretraining_loss="mse").',
    "save_dir": "Pass checkpoint_dir to keep the training, and call save on the models afterwards.",
    "validation_split": "Nothing is held out. Evaluate the autoencoder on other rows afterwards.",
    "validation_data": "Nothing is held out. Evaluate the autoencoder on other rows afterwards.",
    "class_weight": "Labels never train.",
    "initial_epoch": "To resume a training, pass checkpoint_dir.",
}


def check(function: str, arguments: Mapping[str, object]) -> None:
    """Raise TypeError for arguments that a function does not take, with an alternative if there is one.

    Args:
        function: str, the name of the function, such as "DEC.fit".
        arguments: dict of the remaining arguments.
    """
    for name, value in arguments.items():
        instead = {**_INSTEAD, **(_PRETRAINING if function.startswith("pretrain") else {})}.get(name, "")
        received = f"{name}={' '.join(repr(value).split()):.60}"
        message = f"{function} should be given its own arguments. Received: unexpected {received}. {instead}"
        raise TypeError(message.strip())
