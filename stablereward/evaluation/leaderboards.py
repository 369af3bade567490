"""Figures as papers and leaderboards print them, of files of judgements that were published too."""

GENAI_BENCH = {
    "random": ("25.36", "25.90", "25.16", "25.47"),
    "gpt4o": ("45.59", "53.54", "48.46", "49.20"),
    "gemini-1.5-pro": ("44.67", "55.93", "46.21", "48.94"),
    "llava": ("37.00", "26.12", "30.40", "31.17"),
    "idefics2": ("42.25", "27.31", "16.46", "28.67"),
    "llavanext": ("22.65", "25.35", "21.70", "23.23"),
    "minicpm-V-2.5": ("37.81", "25.24", "6.55", "23.20"),
    "blip2": ("26.34", "26.01", "16.93", "23.09"),
    "videollava": ("37.75", "26.66", "0.00", "21.47"),
    "cogvlm": ("29.34", "0.00", "24.60", "17.98"),
    "qwenVL": ("26.63", "14.91", "2.15", "14.56"),
    "instructblip": ("3.11", "19.80", "3.74", "8.88"),
    "idefics1": ("0.81", "5.66", "0.19", "2.22"),
    "ottervideo": ("0.00", "0.00", "0.00", "0.00"),
    "otterimage": ("0.00", "0.00", "0.00", "0.00"),
    "kosmos2": ("0.00", "0.00", "0.00", "0.00"),
}
"""The leaderboard of GenAI-Bench: image generation, image edition, video generation, average."""

JUDGEBENCH = {
    "Skywork_Skywork-Reward-Gemma-2-27B": ("59.74", "66.33", "83.93", "50.00", "64.29"),
    "Skywork_Skywork-Reward-Llama-3.1-8B": ("59.09", "64.29", "76.79", "50.00", "62.29"),
    "internlm_internlm2-20b-reward": ("62.34", "69.39", "66.07", "50.00", "63.43"),
    "internlm_internlm2-7b-reward": ("56.49", "61.22", "71.43", "50.00", "59.43"),
    "Ray2333_GRM-Gemma-2B-rewardmodel-ft": ("62.99", "53.06", "64.29", "54.76", "59.43"),
}
"""Table 3 of https://arxiv.org/abs/2410.12784, columns as in `JUDGEBENCH_COLUMNS`."""

JUDGEBENCH_COLUMNS = ("mmlu-pro", "livebench-reasoning", "livebench-math", "livecodebench", "overall")

JUDGEBENCH_PROMPTED = {
    "gpt-4o-2024-05-13": "56.57",
    "claude-3-5-sonnet-20240620": "64.29",
    "meta-llama_Meta-Llama-3.1-405B-Instruct": "56.86",
    "o1-preview-2024-09-12": "75.43",
}
"""Table 2, overall: judges that write, asked with Arena-Hard's prompt."""

WILDVISION = {
    "gpt-4o": ("89.15", "80.6", "56.4", "255", "148", "14", "72", "11"),
    "gpt-4-vision-preview": ("79.78", "71.8", "39.4", "182", "177", "22", "91", "28"),
    "aria": ("74.10", "68.0", "28.8", "88", "252", "47", "86", "27"),
    "Reka-Flash": ("64.65", "58.8", "18.9", "135", "159", "28", "116", "62"),
    "claude-3-opus-20240229": ("62.03", "53.0", "13.5", "103", "162", "48", "141", "46"),
    "yi-vl-plus": ("55.05", "52.8", "7.2", "98", "166", "29", "124", "83"),
    "liuhaotian_llava-v1.6-34b": ("51.89", "49.2", "2.5", "90", "156", "26", "145", "83"),
    "claude-3-sonnet-20240229": ("50.00", "0.2", "0.1", "0", "1", "499", "0", "0"),
    "claude-3-haiku-20240307": ("37.83", "30.6", "-16.5", "54", "99", "47", "228", "72"),
    "gemini-pro-vision": ("35.57", "32.6", "-21.0", "80", "83", "27", "167", "143"),
    "liuhaotian_llava-v1.6-vicuna-13b": ("33.87", "33.8", "-21.4", "62", "107", "25", "167", "139"),
    "deepseek-ai_deepseek-vl-7b-chat": ("33.61", "35.6", "-21.2", "59", "119", "17", "161", "144"),
    "THUDM_cogvlm-chat-hf": ("32.01", "30.6", "-26.4", "75", "78", "15", "172", "160"),
    "liuhaotian_llava-v1.6-vicuna-7b": ("26.41", "27.0", "-31.4", "45", "90", "36", "164", "165"),
    "idefics2-8b-chatty": ("23.96", "26.4", "-35.8", "44", "88", "19", "164", "185"),
    "Qwen_Qwen-VL-Chat": ("18.08", "19.6", "-47.9", "42", "56", "15", "155", "232"),
    "llava-1.5-7b-hf": ("15.50", "18.0", "-47.8", "28", "62", "25", "174", "211"),
    "liuhaotian_llava-v1.5-13b": ("14.43", "16.8", "-52.5", "28", "56", "19", "157", "240"),
    "BAAI_Bunny-v1_0-3B": ("12.98", "16.6", "-54.4", "23", "60", "10", "164", "243"),
    "openbmb_MiniCPM-V": ("11.95", "13.6", "-57.5", "25", "43", "16", "164", "252"),
    "bczhou_tiny-llava-v1-hf": ("8.30", "11.0", "-66.2", "16", "39", "15", "127", "303"),
    "unum-cloud_uform-gen2-qwen-500m": ("7.81", "10.8", "-68.5", "16", "38", "11", "115", "320"),
}
"""The leaderboard of WildVision-Bench by file name, columns as in `WILDVISION_COLUMNS`."""

WILDVISION_COLUMNS = ("score", "win rate", "reward", "much better", "better", "tie", "worse", "much worse")
WILDVISION_BASELINE = "claude-3-sonnet-20240229"

MMRB2 = {"1_image": ("t2i", "53.20"), "2_edit": ("edit", "55.50"), "3_interleaved": ("interleaved", "57.50")}
MMRB2 |= {"4_reasoning": ("reasoning", "47.50")}
"""The README's figures for the sample judgements: part of the file name → the task's file, accuracy."""
