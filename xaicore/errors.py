"""The tree of errors: one class per mistake.

Every message says what was given, what was expected and what to do.
Each class also derives from the builtin that it is, so that ``except ValueError`` keeps working.

    XaicoreError
    ├── NameMistake
    │   ├── ExpressionSyntax (ValueError)              UnknownName (KeyError)
    │   ├── FamilyNotInstalled (UnknownName)           BrokenPlugin (ImportError)
    │   ├── NameClash (ValueError)                     InvalidDeclaration (ValueError)
    │   ├── UnknownParameter (TypeError)               InvalidParameter (ValueError)
    │   ├── MissingParameter (InvalidParameter)        InvalidCondition (ValueError)
    │   ├── ConflictingParameters (InvalidParameter)
    │   ├── WrongKind (TypeError)                      NotExpressible (TypeError)
    ├── ModelMistake
    │   ├── NotAKerasModel (TypeError)                 LegacyKerasModel (TypeError)
    │   ├── UnbuiltModel (ValueError)                  NoGraph (ValueError)
    │   ├── UnknownSite (KeyError)                     UnsupportedOperation (ValueError)
    │   ├── RuleNeverMet (ValueError)                  LayerIndex (IndexError)
    │   ├── SiteNeverMet (RuleNeverMet)                RuleTaken (RuleNeverMet)
    │   ├── RuleCount (ValueError)                     NothingToFold (ValueError)
    │   ├── UnknownLayer (KeyError)                    FoldingDiffers (ArithmeticError)
    │   ├── NotFitted (RuntimeError)                   NoActivation (ValueError)
    │   ├── PlanBroken (RuntimeError)                  BlackBoxMistake (ValueError)
    │   ├── UnreadableModel (ValueError)
    ├── InputMistake
    │   ├── InputStructure (ValueError)                InputRank (ValueError)
    │   ├── InputShape (ValueError)                    InputDtype (TypeError)
    │   ├── InputNotFinite (ValueError)                EmptyInput (ValueError)
    │   ├── IntegerInput (TypeError)                   InvalidArgument (ValueError)
    │   ├── UnreadableInput (ValueError)
    ├── TargetMistake
    │   ├── TargetSyntax (ValueError)                  TargetOutOfRange (IndexError)
    │   ├── TargetLength (ValueError)                  TargetType (TypeError)
    │   ├── TargetNeeded (ValueError)                  UnknownOutput (KeyError)
    ├── PackageMissing (ImportError)
    ├── InvalidSpecification (ValueError)
    ├── NotFinite (ArithmeticError)
    ├── OutOfMemory (MemoryError)
    └── ResultMistake
        ├── InvalidExplanation (ValueError)            ResultExists (FileExistsError)
        ├── UnreadableResult (ValueError)              UnwritableResult (OSError)
        └── UnknownExtra (KeyError, AttributeError)

Warnings, which stop nothing:

    builtin warnings
    ├── MemoryWarning (ResourceWarning)
    ├── ToleranceWarning (UserWarning)
    ├── PrecisionWarning (UserWarning)
    ├── HeadWarning (UserWarning)
    └── OverflowWarning (UserWarning)
"""


class XaicoreError(Exception):
    """Base of all errors that xaicore raises on purpose."""

    def __str__(self) -> str:
        """Return the message as it was written: ``KeyError`` would print its representation."""
        return str(self.args[0]) if self.args else ""


class NameMistake(XaicoreError):
    """A name, an expression or a plugin is wrong."""


class ExpressionSyntax(NameMistake, ValueError):
    """The text is no expression of the grammar."""


class UnknownName(NameMistake, KeyError):
    """No plugin declares this name."""


class FamilyNotInstalled(UnknownName):
    """The family is known, its distribution is not installed."""


class BrokenPlugin(NameMistake, ImportError):
    """A plugin that declares the name could not be imported."""


class NameClash(NameMistake, ValueError):
    """Two distributions claim one family or one bare name."""


class InvalidDeclaration(NameMistake, ValueError):
    """A plugin's table holds a row that breaks the rules for rows."""


class UnknownParameter(NameMistake, TypeError):
    """The part has no parameter of this name."""


class InvalidParameter(NameMistake, ValueError):
    """A parameter's value breaks the law of its part."""


class MissingParameter(InvalidParameter):
    """A parameter without which there is no part is not given."""


class ConflictingParameters(InvalidParameter):
    """Two parameters say different things of the same."""


class InvalidCondition(NameMistake, ValueError):
    """A condition on operations is not of the grammar."""


class WrongKind(NameMistake, TypeError):
    """The name exists, but as another kind that cannot serve as the one asked for."""


class NotExpressible(NameMistake, TypeError):
    """The object cannot be written as an expression, for example because it holds a function."""


class ModelMistake(XaicoreError):
    """The model, or its combination with an analyzer, is wrong."""


class NotAKerasModel(ModelMistake, TypeError):
    """The object is no Keras 3 model."""


class LegacyKerasModel(ModelMistake, TypeError):
    """The model was made by tf_keras (Keras 2)."""


class UnbuiltModel(ModelMistake, ValueError):
    """The model has never been called, so that its shapes are unknown."""


class NoGraph(ModelMistake, ValueError):
    """The model cannot be turned into a graph of operations."""


class UnknownSite(ModelMistake, KeyError):
    """The model has no site of this name."""


class UnsupportedOperation(ModelMistake, ValueError):
    """The analyzer has no rule for an operation of the model."""


class RuleNeverMet(ModelMistake, ValueError):
    """No operation of the model meets a rule that the user asked for."""


class SiteNeverMet(RuleNeverMet):
    """A rule is given for a pattern that no site of the model fits."""


class RuleTaken(RuleNeverMet):
    """Rules that come earlier took every operation that a rule is given for."""


class RuleCount(ModelMistake, ValueError):
    """A list of rules is longer or shorter than the model has kernel layers."""


class LayerIndex(ModelMistake, IndexError):
    """An index lies beyond the model's kernel layers."""


class UnknownLayer(ModelMistake, KeyError):
    """The model has no such layer."""


class FoldingDiffers(ModelMistake, ArithmeticError):
    """The model with its batch normalization folded does not compute what the model computes."""


class NothingToFold(ModelMistake, ValueError):
    """Folding was asked for, and the model has no batch normalization beside a layer that could take it."""


class NotFitted(ModelMistake, RuntimeError):
    """The analyzer has to learn from data first: ``analyzer.fit(model, data)``."""


class NoActivation(ModelMistake, ValueError):
    """No output has the activation that was to be left out."""


class PlanBroken(ModelMistake, RuntimeError):
    """What ran differs from what was planned."""


class BlackBoxMistake(ModelMistake, ValueError):
    """What is given as a function on arrays is none, or returns other than was told."""


class UnreadableModel(ModelMistake, ValueError):
    """A file holds no model, or none that can be loaded without running code of its author."""


class InputMistake(XaicoreError):
    """The data is wrong."""


class InputStructure(InputMistake, ValueError):
    """The number or the names of the arrays differ from the model's inputs."""


class InputRank(InputMistake, ValueError):
    """An array has another number of axes than the model's input."""


class InputShape(InputMistake, ValueError):
    """An array has the right number of axes and the wrong lengths."""


class InputDtype(InputMistake, TypeError):
    """An array holds no numbers."""


class InputNotFinite(InputMistake, ValueError):
    """An array holds NaN or infinity."""


class EmptyInput(InputMistake, ValueError):
    """There is no sample to explain."""


class IntegerInput(InputMistake, TypeError):
    """An integer input has no gradient; explain the output of its embedding with ``at=``."""


class InvalidArgument(InputMistake, ValueError):
    """An argument of ``explain`` has a value that it cannot have."""


class UnreadableInput(InputMistake, ValueError):
    """A file holds no array and no picture that can be read without running code of its author."""


class TargetMistake(XaicoreError):
    """The target is wrong."""


class TargetSyntax(TargetMistake, ValueError):
    """The text is no target."""


class TargetOutOfRange(TargetMistake, IndexError):
    """The index lies outside the model's output."""


class TargetLength(TargetMistake, ValueError):
    """There are not as many targets as samples, or a target has the wrong number of indices."""


class TargetType(TargetMistake, TypeError):
    """A target is neither an integer, text nor a function."""


class TargetNeeded(TargetMistake, ValueError):
    """The model's output has no default target."""


class UnknownOutput(TargetMistake, KeyError):
    """The model has no output of this name."""


class PackageMissing(XaicoreError, ImportError):
    """A command needs a package, or a file of a package, that is not installed."""


class InvalidSpecification(XaicoreError, ValueError):
    """A file that asks for a run is no such file, or a key of it is wrong; the message has file, line and key."""


class NotFinite(XaicoreError, ArithmeticError):
    """A tensor holds NaN or infinite numbers."""


class OutOfMemory(XaicoreError, MemoryError):
    """One sample alone does not fit into the memory, with as little of it at once as can be."""


class ResultMistake(XaicoreError):
    """A result cannot be made, written or read."""


class InvalidExplanation(ResultMistake, ValueError):
    """Arrays of an explanation do not fit together."""


class ResultExists(ResultMistake, FileExistsError):
    """A file stands where a result should be written; nothing is overwritten."""


class UnreadableResult(ResultMistake, ValueError):
    """A file is no explanation that this version can read."""


class UnwritableResult(ResultMistake, OSError):
    """A result cannot be written where it should."""


class UnknownExtra(ResultMistake, KeyError, AttributeError):
    """An explanation has no array of this name."""


class MemoryWarning(ResourceWarning):
    """A batch did not fit into the memory and was divided."""


class ToleranceWarning(UserWarning):
    """Some samples are above the error that was asked for; the explanation tells which."""


class PrecisionWarning(UserWarning):
    """A model of half precision is explained in float32."""


class HeadWarning(UserWarning):
    """A model ends in a softmax or sigmoid that cannot be left out: the probability is explained."""


class OverflowWarning(UserWarning):
    """Relevance of some samples is not finite: it grew past what the model's type of numbers holds."""
