"""Search hyperparameters with Optuna, on as many machines as share a database.

    python examples/optuna_sweep.py                                            # a file, optuna.db
    python examples/optuna_sweep.py --storage postgresql://user@host/optuna    # the same on each machine

Each trial of the study trains a run in memory, tells its held-out return as training goes on, and is given up
if it is among the worse half by then.
"""

import optuna
import tyro

import rl3_jax

optuna.logging.set_verbosity(optuna.logging.WARNING)


def objective(trial: optuna.Trial, iterations: int) -> float:
    """Return what one run earns on held-out tasks."""
    config = rl3_jax.make_config(
        "mdp-h100-quick",
        iterations=iterations,
        evaluation={"every": max(1, iterations // 5)},
        ppo={
            "learning_rate": trial.suggest_float("learning_rate", 1e-3, 2e-2, log=True),
            "entropy_bonus": trial.suggest_float("entropy_bonus", 1e-3, 1e-1, log=True),
        },
    )

    def give_up(row: dict) -> bool:
        if "evaluation_return" in row:
            trial.report(row["evaluation_return"], row["iteration"])
        return trial.should_prune()

    run = rl3_jax.train(config, on_metrics=give_up, progress=False)
    if run.metrics[-1]["iteration"] < iterations:
        raise optuna.TrialPruned
    return [row["evaluation_return"] for row in run.metrics if "evaluation_return" in row][-1]


def show(_: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
    """Print a trial that has ended."""
    earned = "" if trial.value is None else f"{trial.value:.2f}"
    print(f"{trial.state.name.lower():9} {earned:>7}  {trial.params}", flush=True)


def main(
    storage: str = "sqlite:///optuna.db",
    trials: int = 10,
    iterations: int = 100,
    study: str = "mdp-h100-quick",
) -> None:
    """Run some trials of a study, and print the best of all so far.

    Args:
      storage: database of the study.
      trials: how many to run here.
      iterations: of each run; schedules end there.
      study: its name; the same name goes on with it.
    """
    found = optuna.create_study(
        storage=storage,
        study_name=study,
        direction="maximize",
        load_if_exists=True,
        pruner=optuna.pruners.MedianPruner(n_startup_trials=3),
    )
    failures = (rl3_jax.NonFiniteError,)  # a trial that diverges is no reason to end the study
    found.optimize(
        lambda trial: objective(trial, iterations), n_trials=trials, callbacks=[show], catch=failures
    )
    print(f"best: {found.best_value:.2f} with {found.best_params}")


if __name__ == "__main__":
    tyro.cli(main, description=__doc__)
