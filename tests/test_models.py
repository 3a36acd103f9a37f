import shutil

import pytest

from crowdmood.errors import ModelError
from crowdmood.labels import EXPRESSIONS
from crowdmood.models import EXPRESSION_NET, FACE_DETECTOR, find_model, list_models, read_model


def test_a_detector_and_an_expression_net_ship():
    assert {model.kind for model in list_models()} == {FACE_DETECTOR, EXPRESSION_NET}


@pytest.mark.parametrize("kind", [FACE_DETECTOR, EXPRESSION_NET])
def test_cards_say_what_a_user_must_know(kind):
    model = find_model(kind)
    for name in ("name", "version", "architecture", "parameters", "labels", "licence", "provenance", "limits",
                 "input", "files", "training", "metrics"):
        assert model.card[name], name
    for name in model.card["files"]:
        assert model.file(name).is_file()
    assert (model.folder / "README.md").is_file()
    assert "/" + "work" not in (model.folder / "card.toml").read_text()


def test_labels_are_in_the_order_of_the_tables():
    assert tuple(find_model(EXPRESSION_NET).card["labels"]) == EXPRESSIONS


def test_damaged_weights_are_refused(tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(find_model(EXPRESSION_NET).folder, folder)
    with open(folder / "model.onnx", "r+b") as file:
        file.seek(1000)
        file.write(b"damage")
    with pytest.raises(ModelError, match=r"model.onnx has sha256 .* but the card says"):
        read_model(folder).file("model.onnx")


def test_missing_and_wrong_models_are_one_sentence(tmp_path):
    with pytest.raises(ModelError, match="no model in"):
        read_model(tmp_path)
    with pytest.raises(ModelError, match="holds: face detector; needed: expression net"):
        find_model(EXPRESSION_NET, find_model(FACE_DETECTOR).folder)
    (tmp_path / "card.toml").write_text("kind = ")
    with pytest.raises(ModelError, match="not a valid model card"):
        read_model(tmp_path)
