//! The shape of a CLIP model: the accepted values of `config.json`, and the tensors that follow from them.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::DIMENSION;
use crate::preprocess::SIDE;
use crate::tokenizer::{CONTEXT_LENGTH, VOCABULARY};

/// Longest error about a `config.json`, in bytes: it may contain values of the file.
const LONGEST_REASON: usize = 300;

/// A transformer: pre-norm layers of attention and a two-layer perceptron.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tower {
    pub hidden: usize,
    pub intermediate: usize,
    pub layers: usize,
    pub heads: usize,
}

/// The properties in which accepted models differ. The rest is fixed: 224-pixel RGB input, CLIP's vocabulary and
/// context, quick-GELU, layer norms with an epsilon of 1e-5, 512-dimensional output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Architecture {
    /// The name in `config.json`, if any.
    pub name: Option<String>,
    pub text: Tower,
    pub vision: Tower,
    /// Side of a patch, in pixels.
    pub patch: usize,
}

impl Architecture {
    /// Patches of an image, plus one for the class token.
    pub(crate) fn vision_positions(&self) -> usize {
        (SIDE / self.patch).pow(2) + 1
    }

    /// Name and shape of every tensor in the checkpoint.
    pub(crate) fn tensors(&self) -> Vec<(String, Vec<usize>)> {
        let (text, vision) = (&self.text, &self.vision);
        let mut list = vec![
            ("logit_scale".to_owned(), vec![]),
            ("text_projection.weight".to_owned(), vec![DIMENSION, text.hidden]),
            ("visual_projection.weight".to_owned(), vec![DIMENSION, vision.hidden]),
        ];
        let mut add = |name: &str, shape: &[usize]| list.push((name.to_owned(), shape.to_vec()));

        add("text_model.embeddings.token_embedding.weight", &[VOCABULARY, text.hidden]);
        add("text_model.embeddings.position_embedding.weight", &[CONTEXT_LENGTH, text.hidden]);
        add("text_model.final_layer_norm.weight", &[text.hidden]);
        add("text_model.final_layer_norm.bias", &[text.hidden]);

        add("vision_model.embeddings.class_embedding", &[vision.hidden]);
        add("vision_model.embeddings.patch_embedding.weight", &[vision.hidden, 3, self.patch, self.patch]);
        add("vision_model.embeddings.position_embedding.weight", &[self.vision_positions(), vision.hidden]);
        // Spelled as in the published checkpoint.
        for norm in ["pre_layrnorm", "post_layernorm"] {
            add(&format!("vision_model.{norm}.weight"), &[vision.hidden]);
            add(&format!("vision_model.{norm}.bias"), &[vision.hidden]);
        }

        for (prefix, tower) in [("text_model", text), ("vision_model", vision)] {
            for layer in 0..tower.layers {
                let layer = format!("{prefix}.encoder.layers.{layer}");
                let mut linear = |name: &str, inputs: usize, outputs: usize| {
                    add(&format!("{layer}.{name}.weight"), &[outputs, inputs]);
                    add(&format!("{layer}.{name}.bias"), &[outputs]);
                };
                for projection in ["q_proj", "k_proj", "v_proj", "out_proj"] {
                    linear(&format!("self_attn.{projection}"), tower.hidden, tower.hidden);
                }
                linear("mlp.fc1", tower.hidden, tower.intermediate);
                linear("mlp.fc2", tower.intermediate, tower.hidden);
                for norm in ["layer_norm1", "layer_norm2"] {
                    add(&format!("{layer}.{norm}.weight"), &[tower.hidden]);
                    add(&format!("{layer}.{norm}.bias"), &[tower.hidden]);
                }
            }
        }
        list
    }

    /// Reads a `config.json` of transformers; the error states in one sentence which value is not accepted.
    pub(crate) fn from_json(json: &[u8]) -> Result<Self, String> {
        Self::parse(json).map_err(|mut reason| {
            if reason.len() > LONGEST_REASON {
                reason.truncate(reason.floor_char_boundary(LONGEST_REASON));
                reason.push('\u{2026}');
            }
            reason
        })
    }

    fn parse(json: &[u8]) -> Result<Self, String> {
        let mut root: Map<String, Value> = serde_json::from_slice(json).map_err(|error| error.to_string())?;
        let text: TowerJson = section(&mut root, "text_config")?;
        let vision: TowerJson = section(&mut root, "vision_config")?;
        let root: RootJson = serde_json::from_value(Value::Object(root)).map_err(|error| error.to_string())?;

        expect("projection_dim", DIMENSION, root.projection_dim)?;
        expect("text_config.vocab_size", VOCABULARY, text.vocab_size)?;
        expect("text_config.max_position_embeddings", CONTEXT_LENGTH, text.max_position_embeddings)?;
        expect("vision_config.image_size", SIDE, vision.image_size)?;
        expect("vision_config.num_channels", 3, vision.num_channels)?;
        if vision.patch_size == 0 || !SIDE.is_multiple_of(vision.patch_size) {
            return Err(format!("vision_config.patch_size {} does not divide {SIDE}", vision.patch_size));
        }
        Ok(Self {
            name: root.name.filter(|name| !name.is_empty()),
            text: text.tower("text_config", [512, 2048, 8])?,
            vision: vision.tower("vision_config", [768, 3072, 12])?,
            patch: vision.patch_size,
        })
    }

    /// The `config.json` with which transformers loads this model.
    pub(crate) fn to_json(&self) -> Vec<u8> {
        let tower = |kind: &str, tower: &Tower| TowerJson {
            model_type: kind.to_owned(),
            hidden_size: Some(tower.hidden),
            intermediate_size: Some(tower.intermediate),
            num_attention_heads: Some(tower.heads),
            num_hidden_layers: tower.layers,
            patch_size: self.patch,
            ..TowerJson::default()
        };
        let config = serde_json::json!({
            "_name_or_path": self.name,
            "architectures": ["CLIPModel"],
            "model_type": "clip",
            "initializer_factor": 1.0,
            "logit_scale_init_value": 2.6592,
            "projection_dim": DIMENSION,
            "dtype": "float32",
            "text_config": tower("clip_text_model", &self.text).for_text(),
            "vision_config": tower("clip_vision_model", &self.vision).for_vision(),
        });
        let mut json = serde_json::to_vec_pretty(&config).expect("a JSON value serialises");
        json.push(b'\n');
        json
    }
}

#[derive(Deserialize)]
struct RootJson {
    #[serde(rename = "_name_or_path")]
    name: Option<String>,
    #[serde(default = "embedding_dimension")]
    projection_dim: usize,
}

fn embedding_dimension() -> usize {
    DIMENSION
}

/// `text_config` or `vision_config`. Absent fields have the default of transformers, which is ViT-B/32.
#[derive(Deserialize, Serialize)]
#[serde(default)]
struct TowerJson {
    model_type: String,
    hidden_size: Option<usize>,
    intermediate_size: Option<usize>,
    num_attention_heads: Option<usize>,
    num_hidden_layers: usize,
    projection_dim: usize,
    hidden_act: String,
    layer_norm_eps: f64,
    vocab_size: usize,
    max_position_embeddings: usize,
    image_size: usize,
    num_channels: usize,
    patch_size: usize,
}

impl Default for TowerJson {
    fn default() -> Self {
        Self {
            model_type: String::new(),
            hidden_size: None,
            intermediate_size: None,
            num_attention_heads: None,
            num_hidden_layers: 12,
            projection_dim: DIMENSION,
            hidden_act: "quick_gelu".to_owned(),
            layer_norm_eps: 1e-5,
            vocab_size: VOCABULARY,
            max_position_embeddings: CONTEXT_LENGTH,
            image_size: SIDE,
            num_channels: 3,
            patch_size: 32,
        }
    }
}

impl TowerJson {
    fn tower(&self, section: &str, [hidden, intermediate, heads]: [usize; 3]) -> Result<Tower, String> {
        if self.hidden_act != "quick_gelu" {
            return Err(format!("{section}.hidden_act is {:?}, expected \"quick_gelu\"", self.hidden_act));
        }
        if self.layer_norm_eps != 1e-5 {
            return Err(format!("{section}.layer_norm_eps is {}, expected 1e-5", self.layer_norm_eps));
        }
        let tower = Tower {
            hidden: self.hidden_size.unwrap_or(hidden),
            intermediate: self.intermediate_size.unwrap_or(intermediate),
            layers: self.num_hidden_layers,
            heads: self.num_attention_heads.unwrap_or(heads),
        };
        if tower.heads == 0 || tower.hidden == 0 || !tower.hidden.is_multiple_of(tower.heads) {
            return Err(format!(
                "{section}.hidden_size {} is not a multiple of its {} attention heads",
                tower.hidden, tower.heads
            ));
        }
        // Far above every published CLIP; prevents an allocation of a damaged number.
        for (name, size) in [
            ("hidden_size", tower.hidden),
            ("intermediate_size", tower.intermediate),
            ("num_hidden_layers", tower.layers),
        ] {
            if size > 65_536 {
                return Err(format!("{section}.{name} is {size}, more than 65536"));
            }
        }
        Ok(tower)
    }

    fn for_text(self) -> Value {
        self.without(&["image_size", "num_channels", "patch_size"])
    }

    fn for_vision(self) -> Value {
        self.without(&["vocab_size", "max_position_embeddings"])
    }

    fn without(self, fields: &[&str]) -> Value {
        let mut value = serde_json::to_value(self).expect("a configuration serialises");
        if let Value::Object(map) = &mut value {
            map.retain(|field, _| !fields.contains(&field.as_str()));
        }
        value
    }
}

/// Removes `{name}` from the root. Older files contain a second copy, `{name}_dict`, which transformers prefers.
fn section(root: &mut Map<String, Value>, name: &str) -> Result<TowerJson, String> {
    let mut merged = Map::new();
    for key in [name.to_owned(), format!("{name}_dict")] {
        match root.remove(&key) {
            Some(Value::Object(map)) => merged.extend(map),
            None | Some(Value::Null) => {}
            Some(_) => return Err(format!("{key} is not an object")),
        }
    }
    // An explicit null means the default.
    merged.retain(|_, value| !value.is_null());
    serde_json::from_value(Value::Object(merged)).map_err(|error| format!("{name}: {error}"))
}

fn expect(name: &str, expected: usize, found: usize) -> Result<(), String> {
    if found == expected { Ok(()) } else { Err(format!("{name} is {found}, expected {expected}")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_vit_b_32() {
        let architecture = Architecture::from_json(br#"{"text_config": {}, "vision_config": {}}"#).unwrap();
        let parameters: usize = architecture.tensors().iter().map(|(_, shape)| shape.iter().product::<usize>()).sum();
        // The published count of CLIP ViT-B/32.
        assert_eq!(parameters, 151_277_313);
    }

    #[test]
    fn a_written_configuration_is_read_back() {
        let architecture = Architecture {
            name: Some("tiny".to_owned()),
            text: Tower { hidden: 64, intermediate: 128, layers: 2, heads: 1 },
            vision: Tower { hidden: 128, intermediate: 256, layers: 3, heads: 2 },
            patch: 32,
        };
        assert_eq!(Architecture::from_json(&architecture.to_json()), Ok(architecture));
    }

    #[test]
    fn the_second_copy_of_a_section_wins() {
        let json = br#"{"text_config": {"num_hidden_layers": 3}, "text_config_dict": {"hidden_act": "gelu"}}"#;
        let reason = Architecture::from_json(json).unwrap_err();
        assert!(reason.contains("hidden_act") && reason.contains("gelu"), "{reason}");
    }

    #[test]
    fn unsupported_configurations_are_refused() {
        for (json, expected) in [
            (r#"{"projection_dim": 768}"#, "projection_dim is 768, expected 512"),
            (r#"{"vision_config": {"image_size": 336}}"#, "image_size is 336, expected 224"),
            (r#"{"vision_config": {"patch_size": 30}}"#, "patch_size 30 does not divide 224"),
            (r#"{"vision_config": {"hidden_size": 100, "num_attention_heads": 3}}"#, "100 is not a multiple of its 3"),
            (r#"{"text_config": {"vocab_size": 49409}}"#, "vocab_size is 49409, expected 49408"),
            (r#"{"text_config": {"layer_norm_eps": 1e-6}}"#, "layer_norm_eps"),
            (r#"{"text_config": {"hidden_size": 4611686018427387904}}"#, "more than 65536"),
            (r#"{"text_config": 7}"#, "text_config is not an object"),
            ("[]", "invalid type"),
        ] {
            let reason = Architecture::from_json(json.as_bytes()).unwrap_err();
            assert!(reason.contains(expected), "{json}: {reason}");
        }
    }
}
